"""`kubectl agb`: what people ask about sessions that sleep, answered by the operator's own rules; a client only."""
