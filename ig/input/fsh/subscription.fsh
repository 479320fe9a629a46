// Subscriptions: what R4 and the backport guide have no place for.

CodeSystem: SubscriptionChannel
Id: subscription-channel
Title: "Subscription channels"
Description: "Channels of this server beside those of R4. R4 requires a code of its own in Subscription.channel.type, so that is `websocket`, and the backport guide's extension for the type of a channel names the one that is meant."
* ^caseSensitive = true
* ^experimental = false
* #socketio "Socket.IO" "The client joins the subscription on its Socket.IO connection, and after a break is told exactly what it has missed."

Extension: Subscriber
Id: subscriber
Title: "Subscriber"
Description: "Who wrote the Subscription last over the API, and in whose name notifications are sent. Set by the server, whatever a client sends."
Context: Subscription
* value[x] only Reference(Practitioner or PractitionerRole or Patient or RelatedPerson or Person)
* value[x] 1..1
