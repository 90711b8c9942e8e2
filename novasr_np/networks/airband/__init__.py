"""airband"""

NETWORKS = ()
