"""Files on other machines: objects at URLs, and the copies of them that this machine keeps."""
