"""Nodes for ComfyUI: copy this folder, or link it, into ``custom_nodes``."""

from novasr_np.plugins.comfyui.nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
