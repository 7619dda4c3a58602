"""Registration methods of others, each run as its authors run it or with better settings, on two threads.

A file a package; packages are imported inside the functions, as none of them need be installed.
"""
