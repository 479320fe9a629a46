"""The demo clinic itself: departments, rooms, services, staff and their calendars."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from fhir_server.demo.codes import HL7, SNOMED, Json, concept, identifier, moment, reference, resource
from fhir_server.demo.people import STAFF, Staff

NAME = "Rowan Bay Clinic"
ADDRESS = {"line": ["1 Lighthouse Road"], "city": "Rowan Bay", "state": "ME", "postalCode": "04999", "country": "US"}
DEPARTMENTS = {  # key: name, SNOMED CT service code and display, floor
    "general": ("General Medicine", "394814009", "General practice", "Ground floor"),
    "cardiology": ("Cardiology", "394579002", "Cardiology", "Second floor"),
    "children": ("Children's Clinic", "394537008", "Pediatric specialty", "First floor"),
    "emergency": ("Emergency Department", "773568002", "Emergency medicine", "Ground floor"),
    "laboratory": ("Laboratory", "394915009", "General pathology", "Basement"),
}
WARD_BEDS = ("2-1", "2-2", "2-3")
CALENDARS = ("adaeze-nwosu", "ingrid-solberg")  # whose appointments can be booked
DAYS, HOURS = 5, (9, 10, 11, 14)  # days after the anchor, and when a slot of half an hour begins


def house(anchor: date) -> Iterator[Json]:
    """Everything that does not belong to one patient, what is referred to first."""
    yield from organizations()
    yield from locations()
    yield from services()
    for member in STAFF:
        yield from staff(member)
    for key in CALENDARS:
        yield from calendar(key, anchor)


def organizations() -> Iterator[Json]:
    yield resource(
        "Organization",
        "rowan-bay",
        identifier=[identifier("organization", "ROWAN-BAY")],
        active=True,
        name=NAME,
        type=[concept(f"{HL7}/organization-type", "prov", "Healthcare Provider")],
        telecom=telecom("+1 207 555 0100", "desk@rowan-bay.example"),
        address=[{"use": "work"} | ADDRESS],
    )
    for key, (name, *_) in DEPARTMENTS.items():
        yield resource(
            "Organization",
            key,
            identifier=[identifier("organization", key.upper())],
            active=True,
            name=name,
            type=[concept(f"{HL7}/organization-type", "dept", "Hospital Department")],
            partOf=reference("Organization", "rowan-bay", NAME),
        )


def locations() -> Iterator[Json]:
    site = concept(f"{HL7}/location-physical-type", "si", "Site")
    yield resource(
        "Location",
        "rowan-bay",
        status="active",
        name=NAME,
        mode="instance",
        physicalType=site,
        address=ADDRESS,
        managingOrganization=reference("Organization", "rowan-bay", NAME),
    )
    for key, (name, _, _, floor) in DEPARTMENTS.items():
        yield resource(
            "Location",
            key,
            status="active",
            name=name,
            description=floor,
            mode="instance",
            physicalType=concept(f"{HL7}/location-physical-type", "wi", "Wing"),
            managingOrganization=reference("Organization", key, name),
            partOf=reference("Location", "rowan-bay", NAME),
        )
    for bed in WARD_BEDS:
        yield resource(
            "Location",
            f"bed-{bed}",
            status="active",
            name=f"Bed {bed}",
            mode="instance",
            physicalType=concept(f"{HL7}/location-physical-type", "bd", "Bed"),
            managingOrganization=reference("Organization", "cardiology", "Cardiology"),
            partOf=reference("Location", "cardiology", "Cardiology"),
        )


def services() -> Iterator[Json]:
    for key, (name, code, display, _) in DEPARTMENTS.items():
        yield resource(
            "HealthcareService",
            key,
            active=True,
            name=name,
            providedBy=reference("Organization", key, name),
            location=[reference("Location", key, name)],
            type=[concept(SNOMED, code, display)],
            appointmentRequired=key not in ("emergency", "laboratory"),
        )


def staff(member: Staff) -> Iterator[Json]:
    """A practitioner and the role in which they work here."""
    number = 1000 + STAFF.index(member)
    name = f"{member.prefix} {member.given} {member.family}"
    mail = f"{member.key.replace('-', '.')}@rowan-bay.example"
    yield resource(
        "Practitioner",
        member.key,
        identifier=[identifier("staff", f"S-{number}")],
        active=True,
        gender=member.gender,
        name=[
            {
                "use": "official",
                "text": name,
                "family": member.family,
                "given": [member.given],
                "prefix": [member.prefix],
            }
        ],
        telecom=telecom(f"+1 207 555 0{100 + number % 1000 + 10}", mail),
    )
    department = DEPARTMENTS[member.department][0]
    yield resource(
        "PractitionerRole",
        member.key,
        active=True,
        practitioner=reference("Practitioner", member.key, name),
        organization=reference("Organization", member.department, department),
        code=[concept(f"{HL7}/practitioner-role", member.role, member.role.capitalize())],
        specialty=[concept(SNOMED, *member.specialty)],
        location=[reference("Location", member.department, department)],
        healthcareService=[reference("HealthcareService", member.department, department)],
        availableTime=[
            {
                "daysOfWeek": ["mon", "tue", "wed", "thu", "fri"],
                "availableStartTime": "09:00:00",
                "availableEndTime": "15:00:00",
            }
        ],
    )


def calendar(key: str, anchor: date) -> Iterator[Json]:
    """A schedule over the days after the anchor, and its slots; the first of each day is taken (see chart)."""
    end = anchor + timedelta(days=DAYS + 1)
    yield resource(
        "Schedule",
        key,
        active=True,
        actor=[reference("Practitioner", key)],
        planningHorizon={"start": moment(anchor, 0).isoformat(), "end": moment(end, 0).isoformat()},
    )
    for day in range(1, DAYS + 1):
        for hour in HOURS:
            start = moment(anchor + timedelta(days=day), hour)
            yield resource(
                "Slot",
                f"{key}-{day}-{hour:02}",
                schedule=reference("Schedule", key),
                status="busy" if hour == HOURS[0] else "free",
                start=start.isoformat(),
                end=(start + timedelta(minutes=30)).isoformat(),
            )


def telecom(phone: str, mail: str, use: str = "work") -> list[Json]:
    """A phone number and an address for electronic mail."""
    return [{"system": "phone", "value": phone, "use": use}, {"system": "email", "value": mail, "use": use}]
