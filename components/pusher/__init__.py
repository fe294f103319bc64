"""The Pusher: a blessed model, checked once more, becomes a version that TF Serving sees."""
