"""
Files that may change while the program runs, for extensions that read some: changes are seen by the content.

What lives here: what is public of `_watch`.
"""

from remora._watch import FileWatch, content_of, folders_of, require_watching

__all__ = ["FileWatch", "content_of", "folders_of", "require_watching"]
