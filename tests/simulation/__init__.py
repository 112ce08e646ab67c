"""A simulation without a broker: thousands of schedules of the chunk path in seconds.

The production code runs (gathering, agent, fold, transactions, recovery, and Faust's own consumer
around them); what would talk to Kafka is replaced by topics, transactions and a group in memory, on
an event loop with virtual time. Whatever may come early or late is chosen by a schedule, which can
be run again. See `tests.simulation.schedule`.
"""
