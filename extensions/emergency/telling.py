"""What an alert says, the guide's emergency-alert: https://hl7.org/fhir/R4/communication.html"""

from __future__ import annotations

from extensions.emergency.circle import Told
from extensions.emergency.words import LEVELS, WORDS, priority
from workflow.codes import ALERT, TEAM_DISCUSSION, Json, coding, concept
from workflow.making import id_for, instant


def alerts(flag: Json, told: Told, turn: str, level: int = 0) -> list[Json]:
    """One for each person; `turn` is what they are told for, the same ids come out of the same turn.

    They name the Flag and say nothing of its content. They are the team's own: the patient's app does not show them.
    """
    text = f"Emergency, {WORDS[priority(flag)]} priority."
    if level:
        text = f"{text} Nobody has answered in time: {level} of {LEVELS}."
    about = {"reference": f"Flag/{flag['id']}"}
    return [
        {
            "resourceType": "Communication",
            "id": id_for(about["reference"], "alert", turn, person),
            "meta": {"security": [coding(*TEAM_DISCUSSION)]},
            "status": "in-progress",
            "category": [concept(ALERT)],
            "priority": "stat",
            "subject": {"reference": flag["subject"]["reference"]},
            "about": [about],
            "recipient": [{"reference": person}],
            "sent": instant(),
            "payload": [{"contentString": text}],
            "reasonCode": [{"text": why}],
        }
        for person, why in told.items()
    ]
