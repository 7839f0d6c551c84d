"""lyncarr: IIS with Application Request Routing as the reverse proxy of Lync and Skype for Business, described once and kept that way."""

__version__ = "0.1.0"
