// A provider of tokens that was not written here, as the tests start it: node server.mjs FOLDER PORT
//
// FOLDER has clients.json, the clients' metadata as RFC 7591 has them, and what must survive a stop: the keys and the tokens.
// PORT is one of loopback, 0 for any. It says `listening on PORT` once it serves. SIGHUP makes new keys, which sign from then on,
// beside the three generations before them, which stay published; it says `rotated to KEY` then. Before it answers with a token it
// says `granted to CLIENT by PROOF`, where the proof was in a header, in the body, or an assertion. SIGTERM ends it.
import * as crypto from "node:crypto";
import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { promisify } from "node:util";

import { errors, Provider } from "oidc-provider";

// What the provider needs of Node.js, and that of older distributions (18, before 20.12) does not have yet.
globalThis.crypto ??= crypto.webcrypto;
URL.parse ??= (text, base) => {
  try {
    return new URL(text, base);
  } catch {
    return null;
  }
};

const [folder, wanted] = process.argv.slice(2);
const place = (name) => join(folder, name);
const clients = JSON.parse(readFileSync(place("clients.json"), "utf8"));

// What the tokens for each API look like.
const apis = {
  "https://api.test/orders": { accessTokenFormat: "jwt", jwt: { sign: { alg: "RS256" } } },
  "https://api.test/ledger": { accessTokenFormat: "jwt", jwt: { sign: { alg: "ES256" } } },
  "https://api.test/archive": { accessTokenFormat: "opaque" },
};
const scopes = "orders:read orders:write";

// ---- the keys: newest first
const generate = promisify(crypto.generateKeyPair);
let keys = existsSync(place("keys.json")) ? JSON.parse(readFileSync(place("keys.json"), "utf8")) : [];

async function newKeys() {
  const name = `g${1 + Math.max(0, ...keys.map((generation) => generation.number))}`;
  const pair = async (alg, kind, options) => {
    const { privateKey } = await generate(kind, options);
    return { ...privateKey.export({ format: "jwk" }), kid: `${name}-${alg}`, alg, use: "sig" };
  };
  const rsa = await pair("RS256", "rsa", { modulusLength: 2048 });
  const elliptic = await pair("ES256", "ec", { namedCurve: "P-256" });
  keys = [{ number: Number(name.slice(1)), keys: [rsa, elliptic] }, ...keys].slice(0, 4);
  writeFileSync(place("keys.json.new"), JSON.stringify(keys));
  renameSync(place("keys.json.new"), place("keys.json"));
  return name;
}

// ---- the tokens, each change of them a line in a file
const records = new Map();
const apply = ({ key, payload, until }) => (payload ? records.set(key, { payload, until }) : records.delete(key));
if (existsSync(place("records"))) {
  // The last line is cut short if it was being written when the process was killed.
  const lines = readFileSync(place("records"), "utf8").split("\n").slice(0, -1);
  for (const line of lines) apply(JSON.parse(line));
}
const note = (change) => {
  appendFileSync(place("records"), `${JSON.stringify(change)}\n`);
  apply(change);
};

class Records {
  constructor(model) {
    this.model = model;
  }
  key(id) {
    return `${this.model}:${id}`;
  }
  async upsert(id, payload, seconds) {
    note({ key: this.key(id), payload, until: Date.now() + (seconds ?? 1e9) * 1000 });
  }
  async find(id) {
    const found = records.get(this.key(id));
    return found && found.until > Date.now() ? found.payload : undefined;
  }
  async consume(id) {
    const { payload, until } = records.get(this.key(id));
    note({ key: this.key(id), payload: { ...payload, consumed: Math.floor(Date.now() / 1000) }, until });
  }
  async destroy(id) {
    note({ key: this.key(id) });
  }
}

const assertions = new Set();

// ---- the server, whose provider is another one after each rotation
let answer;
const server = createServer((request, response) => answer(request, response));

function serve() {
  const provider = new Provider(`http://127.0.0.1:${server.address().port}`, {
    adapter: Records,
    clients,
    jwks: { keys: keys.flatMap((generation) => generation.keys) },
    scopes: scopes.split(" "),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => {
          const api = apis[resource];
          if (!api) throw new errors.InvalidTarget();
          return { scope: scopes, audience: resource, accessTokenTTL: 600, ...api };
        },
      },
    },
  });
  provider.on("grant.success", ({ headers, oidc }) => {
    const proof = oidc.params.client_assertion ? "assertion" : headers.authorization ? "header" : "body";
    console.log(`granted to ${oidc.client.clientId} by ${proof}`);
  });
  if (!crypto.hash) {
    // It hashes the names of assertions before it looks whether it knows them.
    provider.ReplayDetection.unique = async (...name) => {
      const text = name.slice(0, 2).join("\n");
      return !assertions.has(text) && Boolean(assertions.add(text));
    };
  }
  provider.on("server_error", (_, error) => console.error(error));
  answer = provider.callback();
}

process.on("SIGTERM", () => process.exit(0));
process.on("SIGHUP", async () => {
  const name = await newKeys();
  serve();
  console.log(`rotated to ${name}`);
});
if (keys.length === 0) await newKeys();
server.listen(Number(wanted), "127.0.0.1", () => {
  serve();
  console.log(`listening on ${server.address().port}`);
});
