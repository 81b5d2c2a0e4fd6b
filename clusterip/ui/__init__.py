"""The dashboard: a page, and the two ways it is served.

``static/`` is the page: ES modules and style sheets as they are written, nothing to build. The API server
serves it under ``/ui/`` (``assets.py``); ``clusterip ui`` serves it on loopback, with a kubeconfig's
credentials behind it (``local.py``). Either way the page asks the Kubernetes API and has its viewer's rights.
"""
