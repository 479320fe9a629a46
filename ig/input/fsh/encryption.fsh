// Public keys of people, to which what is said between them is encrypted end to end.

Extension: EncryptionKey
Id: encryption-key
Title: "Encryption key"
Description: "A public key of this person, made by one of their browsers; its private half never leaves that. Only the person adds one. What is encrypted end to end is encrypted to those keys of its readers that have not ended."
Context: Practitioner, Patient, RelatedPerson
* extension contains
    kid 1..1 and
    jwk 1..1 and
    created 1..1 and
    ended 0..1
* extension[kid] ^short = "The key's thumbprint (RFC 7638, SHA-256), by which a JWE names its recipients"
* extension[kid].value[x] only string
* extension[kid].value[x] 1..1
* extension[jwk] ^short = "The public key as a JWK (RFC 7517) of kty EC and crv P-256"
* extension[jwk].value[x] only string
* extension[jwk].value[x] 1..1
* extension[created] ^short = "When it was made"
* extension[created].value[x] only dateTime
* extension[created].value[x] 1..1
* extension[ended] ^short = "Since when nothing new is to be encrypted to it"
* extension[ended].value[x] only dateTime
* extension[ended].value[x] 1..1

Instance: encryption-key-search
InstanceOf: SearchParameter
Usage: #definition
* insert Searches(encryption-key-search, EncryptionKeySearch, encryption-key, Practitioner, token, [["(Practitioner | Patient | RelatedPerson).extension('http://fhir-server.example/ig/StructureDefinition/encryption-key').extension('kid').value.as(string)"]])
* base[+] = #Patient
* base[+] = #RelatedPerson
* description = "Whose key it is, by the key's thumbprint."

Instance: example-cardiologist
InstanceOf: Practitioner
Usage: #example
Title: "A specialist with keys"
Description: "The key of a browser that is no longer used has ended; the one of the new browser has not."
* name.family = "Achterberg"
* name.given = "Nora"
* extension[0].url = "http://fhir-server.example/ig/StructureDefinition/encryption-key"
* extension[0].extension[0].url = "kid"
* extension[0].extension[0].valueString = "GpitUBNLs-xmY1u1VabAlt9DPhWOW7pyxced68Wa7dU"
* extension[0].extension[1].url = "jwk"
* extension[0].extension[1].valueString = "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"I2-qWieZSdzcX7LrTuT6o8B1QDXlglygukr5scU7xsY\",\"y\":\"wT9qm6fSIutdQwrzGBsn_7v_mZRzrJSmE-Pi8HIStCA\"}"
* extension[0].extension[2].url = "created"
* extension[0].extension[2].valueDateTime = "2025-03-01T08:00:00Z"
* extension[0].extension[3].url = "ended"
* extension[0].extension[3].valueDateTime = "2025-05-20T10:00:00Z"
* extension[1].url = "http://fhir-server.example/ig/StructureDefinition/encryption-key"
* extension[1].extension[0].url = "kid"
* extension[1].extension[0].valueString = "DE3x7E0A1IhB-12y87vaTpgY89BxkuCutcoSaeyzPBY"
* extension[1].extension[1].url = "jwk"
* extension[1].extension[1].valueString = "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"Mv8M1O2CaxQtk5GO7_dPzGEhilN4lQ2NcigDIJMcpgU\",\"y\":\"DYRLl3scXh6AmHiQS-wIcy3Ag45I4K3hSUSp1_fwS10\"}"
* extension[1].extension[2].url = "created"
* extension[1].extension[2].valueDateTime = "2025-05-20T09:58:00Z"
