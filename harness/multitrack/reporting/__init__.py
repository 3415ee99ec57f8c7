"""What a run says: values in, text out."""
