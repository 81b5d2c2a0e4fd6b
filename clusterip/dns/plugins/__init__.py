"""What can stand between a question and its answer; each module is one plugin of a Corefile.

A handler answers a query or hands it to the next one. Handlers are composed once, when the configuration
is read (``compose``): a plugin that is not configured costs nothing.
"""
