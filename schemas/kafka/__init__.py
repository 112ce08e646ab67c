"""Reading Kafka, as every process of ours does it.

The one part of ``schemas`` that imports a Kafka client, and no other part of it imports this one.
"""
