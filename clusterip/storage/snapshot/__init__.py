"""Everything in a store, in a file, and back: into the same store, another one, or one of the other kind.

The file is neither SQLite's nor etcd's but a list of keys, values and revisions, so that it can move a
cluster from one to the other, and so that whoever may read and write the store's keys needs nothing else.

**Revisions only ever grow.** A restored store goes on a billion revisions above whatever the store or the
snapshot has seen, and says of all before that they are compacted. A watcher from before is thus told
``410 Gone`` and lists again; it cannot be given the wrong history. (etcd's own tool does the same with
``--bump-revision`` and ``--mark-compacted``, in later versions and when asked to.)
"""

BUMP = 1_000_000_000
"""How far a restore moves the revision: more than were written since any snapshot that is of use."""
