"""Look-ups in folders, for orchestrators that know no custom resolver, or none at all.

What a resolver finds in ML Metadata these find in folders that outlive a run: the last blessed
model in the serving directory, the last accepted data in a folder of records.
"""
