"""(j) The embedded token endpoint: client credentials in a form, ES256, each token on the disk before it is answered."""

from urllib.parse import urlencode

from ..load import Load
from ..rounds import Case, measure as measure_cases
from ..servers import Setup, postern


def measure(rig, results):
    form = urlencode(
        {
            "grant_type": "client_credentials",
            "client_id": "billing",
            "scope": "orders:read",
            "client_secret": postern.SECRET,
        }
    )
    headers = (("Content-Type", "application/x-www-form-urlencoded"),)
    load = Load([("/oauth/token", None)], method="POST", headers=headers, body=form.encode(), length=None)
    cases = [Case("j", "embedded token endpoint, ES256, SQLite", load, Setup(issues=True), ("postern",))]
    measure_cases(rig, results, cases)
