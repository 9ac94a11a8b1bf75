"""An explicit-state model of the credit ledger's protocol, and a checker that looks at every state of it."""
