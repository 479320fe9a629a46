// What definitions of one kind have in common.

RuleSet: Maps(source, target, equivalence)
* group.element[+].code = #{source}
* group.element[=].target.code = #{target}
* group.element[=].target.equivalence = #{equivalence}

RuleSet: Searches(id, name, code, base, type, expression)
* url = "http://fhir-server.example/ig/SearchParameter/{id}"
* name = "{name}"
* status = #active
* code = #{code}
* base = #{base}
* type = #{type}
* expression = {expression}
* xpathUsage = #normal
* multipleOr = true
* multipleAnd = true

RuleSet: Operates(code, name, resource)
* url = "http://fhir-server.example/ig/OperationDefinition/{code}"
* name = "{name}"
* status = #draft
* kind = #operation
* code = #{code}
* resource = #{resource}
* system = false
* type = false

RuleSet: In(name, min, max, type, text)
* parameter[+].name = #{name}
* parameter[=].use = #in
* parameter[=].min = {min}
* parameter[=].max = "{max}"
* parameter[=].type = #{type}
* parameter[=].documentation = "{text}"

RuleSet: Out(name, min, max, type, text)
* parameter[+].name = #{name}
* parameter[=].use = #out
* parameter[=].min = {min}
* parameter[=].max = "{max}"
* parameter[=].type = #{type}
* parameter[=].documentation = "{text}"

RuleSet: Category(slice, min, max, coding)
* category ^slicing.discriminator.type = #pattern
* category ^slicing.discriminator.path = "$this"
* category ^slicing.rules = #open
* category contains {slice} {min}..{max} MS
* category[{slice}] = {coding}

RuleSet: Mapping(id, name, title)
* url = "http://fhir-server.example/ig/ConceptMap/{id}"
* name = "{name}"
* title = "{title}"
* status = #active

RuleSet: Complete
* ^caseSensitive = true

// A SubscriptionTopic of R5 as the Basic resource of the backport guide's 1.2 ballot.
RuleSet: Topic(id, name, title, description)
* code = $types#SubscriptionTopic
* modifierExtension[0].url = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.status"
* modifierExtension[0].valueCode = #active
* extension[0].url = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.url"
* extension[0].valueUri = "http://fhir-server.example/ig/SubscriptionTopic/{id}"
* extension[+].url = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.version"
* extension[=].valueString = "0.1.0"
* extension[+].url = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.name"
* extension[=].valueString = "{name}"
* extension[+].url = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.title"
* extension[=].valueString = "{title}"
* extension[+].url = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.description"
* extension[=].valueMarkdown = "{description}"

RuleSet: Trigger(resource, description)
* extension[+].url = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.resourceTrigger"
* extension[=].extension[0].url = "description"
* extension[=].extension[0].valueMarkdown = "{description}"
* extension[=].extension[+].url = "resource"
* extension[=].extension[=].valueUri = "http://hl7.org/fhir/StructureDefinition/{resource}"

RuleSet: On(interaction)
* extension[=].extension[+].url = "supportedInteraction"
* extension[=].extension[=].valueCode = #{interaction}

// Fires when a resource begins to match: created so, or updated from something else.
RuleSet: Becomes(previous, current)
* insert On(create)
* insert On(update)
* extension[=].extension[+].url = "queryCriteria"
* extension[=].extension[=].extension[0].url = "previous"
* extension[=].extension[=].extension[0].valueString = "{previous}"
* extension[=].extension[=].extension[+].url = "resultForCreate"
* extension[=].extension[=].extension[=].valueCode = #test-passes
* extension[=].extension[=].extension[+].url = "current"
* extension[=].extension[=].extension[=].valueString = "{current}"
* extension[=].extension[=].extension[+].url = "resultForDelete"
* extension[=].extension[=].extension[=].valueCode = #test-fails
* extension[=].extension[=].extension[+].url = "requireBoth"
* extension[=].extension[=].extension[=].valueBoolean = true

// Fires at each create and update of a resource that matches.
RuleSet: Matching(current)
* insert On(create)
* insert On(update)
* extension[=].extension[+].url = "queryCriteria"
* extension[=].extension[=].extension[0].url = "current"
* extension[=].extension[=].extension[0].valueString = "{current}"
* extension[=].extension[=].extension[+].url = "resultForDelete"
* extension[=].extension[=].extension[=].valueCode = #test-fails

RuleSet: Filter(resource, parameter, description)
* extension[+].url = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.canFilterBy"
* extension[=].extension[0].url = "description"
* extension[=].extension[0].valueMarkdown = "{description}"
* extension[=].extension[+].url = "resource"
* extension[=].extension[=].valueUri = "{resource}"
* extension[=].extension[+].url = "filterParameter"
* extension[=].extension[=].valueString = "{parameter}"

RuleSet: Shape(resource)
* extension[+].url = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.notificationShape"
* extension[=].extension[0].url = "resource"
* extension[=].extension[0].valueUri = "{resource}"

RuleSet: Include(include)
* extension[=].extension[+].url = "include"
* extension[=].extension[=].valueString = "{include}"
