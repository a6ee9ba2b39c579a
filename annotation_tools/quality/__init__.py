"""How well people agree, what their work comes to, and what a third person must see."""
