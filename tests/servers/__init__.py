"""Servers on loopback that play the archives, and a proxy that spoils what they say."""
