"""Reading streams and the rows folded from them."""
