// The departments that a new installation begins with.

ValueSet: Specialties
Id: specialties
Title: "Specialties, a starter set"
Description: "Twelve specialties out of R4's practice setting codes, for HealthcareService, PractitionerRole, referrals and appointments. An installation adds its own: bindings to it are preferred, not required."
* ^copyright = "This value set includes content from SNOMED CT, which is copyright © 2002+ International Health Terminology Standards Development Organisation (IHTSDO), and distributed by agreement between IHTSDO and HL7. Implementer use of SNOMED CT is not covered by this agreement."
* $sct#394802001 "General medicine"
* $sct#394579002 "Cardiology"
* $sct#394582007 "Dermatology"
* $sct#394583002 "Endocrinology"
* $sct#394584008 "Gastroenterology"
* $sct#394591006 "Neurology"
* $sct#394585009 "Obstetrics and gynecology"
* $sct#394594003 "Ophthalmology"
* $sct#394801008 "Surgery-Trauma and orthopedics"
* $sct#418960008 "Otolaryngology"
* $sct#394587001 "Psychiatry"
* $sct#394576009 "Surgical-Accident & emergency"
