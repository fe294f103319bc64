"""The embedded model server: TF Serving's REST and gRPC contract from the same files.

`python -m serving.server` takes tensorflow_model_server's flags. Production runs TF Serving; this
is for where there is none.
"""
