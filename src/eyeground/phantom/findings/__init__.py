"""What diseases put on a retina: each file draws a disease's findings by chance and knows how to paint them."""
