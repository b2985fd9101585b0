"""Confidentiality: envelopes, wrapped keys, sealed messages, and the keys that open them.

Three formats, specified in `docs/envelopes.md`:

- an *envelope* holds content of any size under a random content key (`envelope`);
- a *wrapped key* is a content key sealed to one grantee, 80 bytes, for the event of its grant
  (`wrapping`);
- a *sealed message* is an input or output sealed to one reader (`message`).

Each is bound to the chain, the contract and the purpose it was made for, and opens nowhere else.
"""
