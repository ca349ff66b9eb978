"""Postern beside nginx, HAProxy and Envoy: what they are asked, how it is counted, and what must hold."""
