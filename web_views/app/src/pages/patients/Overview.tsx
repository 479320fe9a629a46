import { Anchor, SimpleGrid } from "@mantine/core"
import type { AllergyIntolerance, Condition, Encounter, MedicationRequest, Observation } from "fhir/r4"
import { Link } from "react-router"
import { codeIn, SYSTEM, textOf } from "../../fhir/codes"
import { caseStatusText, Priority } from "../../parts/badges"
import { dateText } from "../../words/dates"
import { valueText } from "../../words/values"
import { Card } from "./Card"
import { Line } from "./Line"
import type { OfChart } from "./section"

const CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"

/** What one wants to know first: problems, medicines, allergies, the last measurements, cases. */
export function Overview({ patient }: OfChart) {
  const of = `Patient/${patient.id ?? ""}`
  return (
    <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md">
      <Card<Condition>
        title="Problems" path="Condition" none="No problem is recorded."
        query={{ patient: of, "clinical-status": "active,recurrence,relapse", _sort: "-recorded-date", _count: 50 }}
      >
        {(one) => <Line what={textOf(one.code)} more={severity(one)} when={since(one)} />}
      </Card>
      <Card<MedicationRequest>
        title="Medicines" path="MedicationRequest" none="No medicine is prescribed."
        query={{ patient: of, status: "active,on-hold", _sort: "-authoredon", _count: 50 }}
      >
        {(one) => (
          <Line
            what={textOf(one.medicationCodeableConcept) ?? one.medicationReference?.display ?? "Medicine"}
            more={one.dosageInstruction?.[0]?.text}
            when={dateText(one.authoredOn)}
          />
        )}
      </Card>
      <Card<AllergyIntolerance>
        title="Allergies and intolerances" path="AllergyIntolerance" none="None is recorded."
        query={{ patient: of, _count: 50 }} wanted={(one) => one.verificationStatus?.coding?.[0]?.code !== "entered-in-error"}
      >
        {(one) => (
          <Line
            what={textOf(one.code)}
            more={[one.criticality === "high" ? "high risk" : undefined, textOf(one.reaction?.[0]?.manifestation[0])].filter(Boolean).join(", ")}
            when={one.clinicalStatus?.coding?.[0]?.code}
          />
        )}
      </Card>
      <Card<Observation>
        title="Last measurements" path="Observation/$lastn" none="Nothing was measured."
        query={{ patient: of, category: "vital-signs", max: 1 }}
        foot={<Anchor component={Link} to="#trends" size="sm">All measurements over time</Anchor>}
      >
        {(one) => <Line what={textOf(one.code)} more={valueText(one)} when={dateText(one.effectiveDateTime)} />}
      </Card>
      <Card<Encounter>
        title="Cases" path="Encounter" none="There is no case."
        query={{ patient: of, class: `${SYSTEM.act}|VR`, "part-of:missing": "true", _sort: "-date", _count: 20 }}
      >
        {(one) => (
          <Line
            what={<Anchor component={Link} to={`/cases/${one.id ?? ""}`}>{one.identifier?.[0]?.value ?? "Case"}</Anchor>}
            more={<>{caseStatusText(one.status)} <Priority of={one} /></>}
            when={dateText(one.period?.start)}
          />
        )}
      </Card>
      <Card<Encounter>
        title="Visits" path="Encounter" none="There was no visit."
        query={{ patient: of, class: `AMB,EMER,IMP,ACUTE,HH,SS,OBSENC`, _sort: "-date", _count: 8 }}
      >
        {(one) => <Line what={textOf(one.type?.[0]) ?? one.class.display ?? one.class.code} more={one.status} when={dateText(one.period?.start)} />}
      </Card>
    </SimpleGrid>
  )
}

const since = (one: Condition) => {
  const date = one.onsetDateTime ?? one.recordedDate
  return date === undefined ? undefined : `since ${dateText(date)}`
}
const severity = (one: Condition) => textOf(one.severity) ?? (codeIn(one.clinicalStatus, CLINICAL) === "active" ? undefined : textOf(one.clinicalStatus))
