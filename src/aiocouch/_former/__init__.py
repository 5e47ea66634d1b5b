"""What programs reached in aiocouch 3 and 4 by private names, for there was nothing else.

The classes of today are children of those here, so that `isinstance` goes on to hold. Everything that is
called here warns, and tells the public way.
"""
