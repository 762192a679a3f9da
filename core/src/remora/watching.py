"""
Files that may change while the program runs, for extensions that read some: changes are seen by the content.

What lives here: what is public of `_watch`.
"""

from remora._watch import FileWatch, content_of, folders_of, require_watching
from remora.config import read_content

__all__ = ["FileWatch", "content_of", "folders_of", "read_content", "require_watching"]
