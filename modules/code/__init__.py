"""The user's own code: what belongs to a project, how it is bundled, how a process enters it.

`project` and `collection` find the files, `bundle` makes one record of them, `origin` notes how the
submitter imports, and `entry` lets another process import in the same way.
"""
