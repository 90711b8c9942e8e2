"""Plugins that run the networks in other programs; only the plugin needs its program."""
