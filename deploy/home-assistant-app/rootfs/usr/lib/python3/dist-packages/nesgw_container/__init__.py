"""nesgw in a container: starts it, shows that it lives, and, as an app of Home Assistant, configures it.

Nothing but the standard library: this process stays beside nesgw for as long as it runs.
"""
