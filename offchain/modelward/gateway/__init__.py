"""Ciphertext by hash, over HTTP, for accounts with a live grant.

What is kept behind a gateway stops being downloaded the moment its grant is revoked. The chain says
who may have what; the gateway holds no list and no key.
"""
