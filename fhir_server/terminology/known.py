"""Code systems that nobody publishes as a CodeSystem: their codes are judged by form, or by a small table.

https://hl7.org/fhir/R4/terminologies-systems.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache

from fhir_server import ucum
from fhir_server.outcomes import NotSupported, TooCostly
from fhir_server.terminology.codesystem import CodeSystem, Concept
from fhir_server.terminology.effort import Effort
from fhir_server.terminology.filters import ITSELF
from fhir_server.terminology.listed import Listed
from fhir_server.terminology.pattern import Pattern
from fhir_server.terminology.resources import CodeSystemResource, ConceptDefinition, Filter
from fhir_server.terminology.system import Selection, System, Want

# https://www.rfc-editor.org/rfc/rfc5646#section-2.1, without checking subtags against the registry
_LANGUAGE = re.compile(
    r"(?:(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4}|[a-z]{5,8})(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?"
    r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*(?:-[a-wy-z0-9](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?"
    r"|x(?:-[a-z0-9]{1,8})+|i-(?:ami|bnn|default|enochian|hak|klingon|lux|mingo|navajo|pwn|tao|tay|tsu))",
    re.IGNORECASE,
)
# https://www.rfc-editor.org/rfc/rfc6838#section-4.2 with parameters; FHIR also uses the type alone ("image/*")
_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_TEXT = r'(?:[A-Za-z0-9!#$&^_.+*\'`|~%-]+|"[^"\\]*")'
_MEDIA = re.compile(rf"{_NAME}/(?:{_NAME}|\*)(?:[ ]*;[ ]*{_NAME}={_TEXT})*")
_SUBDIVISION = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}")
_NUMBER = re.compile(r"[0-9]{1,10}")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
# Units whose scale is a function, which ucum.canonical does not convert: https://ucum.org/ucum#section-Special-Units
_SPECIAL = re.compile(
    r"(?:[YZEPTGMkhdcmunpfazy]|da)?(?:Np|B|B\[(?:SPL|V|mV|uV|10\.nV|W|kW)\]|bit_s|\[m/s2/Hz\^0\.5\])"
    r"|\[pH\]|%\[slope\]|\[p'diop\]|\[hp'_[XCMQ]\]|\[hp_[XCMQ]\]|\[kp_[XCMQ]\]|\[degRe\]|\[degF\]"
)
_ANNOTATION = re.compile(r"\{[!-z|~]*\}")

_COUNTRIES = (  # ISO 3166-1: alpha-2, alpha-3, numeric
    "ADAND020 AEARE784 AFAFG004 AGATG028 AIAIA660 ALALB008 AMARM051 AOAGO024 AQATA010 ARARG032 ASASM016 ATAUT040 "
    "AUAUS036 AWABW533 AXALA248 AZAZE031 BABIH070 BBBRB052 BDBGD050 BEBEL056 BFBFA854 BGBGR100 BHBHR048 BIBDI108 "
    "BJBEN204 BLBLM652 BMBMU060 BNBRN096 BOBOL068 BQBES535 BRBRA076 BSBHS044 BTBTN064 BVBVT074 BWBWA072 BYBLR112 "
    "BZBLZ084 CACAN124 CCCCK166 CDCOD180 CFCAF140 CGCOG178 CHCHE756 CICIV384 CKCOK184 CLCHL152 CMCMR120 CNCHN156 "
    "COCOL170 CRCRI188 CUCUB192 CVCPV132 CWCUW531 CXCXR162 CYCYP196 CZCZE203 DEDEU276 DJDJI262 DKDNK208 DMDMA212 "
    "DODOM214 DZDZA012 ECECU218 EEEST233 EGEGY818 EHESH732 ERERI232 ESESP724 ETETH231 FIFIN246 FJFJI242 FKFLK238 "
    "FMFSM583 FOFRO234 FRFRA250 GAGAB266 GBGBR826 GDGRD308 GEGEO268 GFGUF254 GGGGY831 GHGHA288 GIGIB292 GLGRL304 "
    "GMGMB270 GNGIN324 GPGLP312 GQGNQ226 GRGRC300 GSSGS239 GTGTM320 GUGUM316 GWGNB624 GYGUY328 HKHKG344 HMHMD334 "
    "HNHND340 HRHRV191 HTHTI332 HUHUN348 IDIDN360 IEIRL372 ILISR376 IMIMN833 ININD356 IOIOT086 IQIRQ368 IRIRN364 "
    "ISISL352 ITITA380 JEJEY832 JMJAM388 JOJOR400 JPJPN392 KEKEN404 KGKGZ417 KHKHM116 KIKIR296 KMCOM174 KNKNA659 "
    "KPPRK408 KRKOR410 KWKWT414 KYCYM136 KZKAZ398 LALAO418 LBLBN422 LCLCA662 LILIE438 LKLKA144 LRLBR430 LSLSO426 "
    "LTLTU440 LULUX442 LVLVA428 LYLBY434 MAMAR504 MCMCO492 MDMDA498 MEMNE499 MFMAF663 MGMDG450 MHMHL584 MKMKD807 "
    "MLMLI466 MMMMR104 MNMNG496 MOMAC446 MPMNP580 MQMTQ474 MRMRT478 MSMSR500 MTMLT470 MUMUS480 MVMDV462 MWMWI454 "
    "MXMEX484 MYMYS458 MZMOZ508 NANAM516 NCNCL540 NENER562 NFNFK574 NGNGA566 NINIC558 NLNLD528 NONOR578 NPNPL524 "
    "NRNRU520 NUNIU570 NZNZL554 OMOMN512 PAPAN591 PEPER604 PFPYF258 PGPNG598 PHPHL608 PKPAK586 PLPOL616 PMSPM666 "
    "PNPCN612 PRPRI630 PSPSE275 PTPRT620 PWPLW585 PYPRY600 QAQAT634 REREU638 ROROU642 RSSRB688 RURUS643 RWRWA646 "
    "SASAU682 SBSLB090 SCSYC690 SDSDN729 SESWE752 SGSGP702 SHSHN654 SISVN705 SJSJM744 SKSVK703 SLSLE694 SMSMR674 "
    "SNSEN686 SOSOM706 SRSUR740 SSSSD728 STSTP678 SVSLV222 SXSXM534 SYSYR760 SZSWZ748 TCTCA796 TDTCD148 TFATF260 "
    "TGTGO768 THTHA764 TJTJK762 TKTKL772 TLTLS626 TMTKM795 TNTUN788 TOTON776 TRTUR792 TTTTO780 TVTUV798 TWTWN158 "
    "TZTZA834 UAUKR804 UGUGA800 UMUMI581 USUSA840 UYURY858 UZUZB860 VAVAT336 VCVCT670 VEVEN862 VGVGB092 VIVIR850 "
    "VNVNM704 VUVUT548 WFWLF876 WSWSM882 YEYEM887 YTMYT175 ZAZAF710 ZMZMB894 ZWZWE716"
)
_CURRENCIES = (  # ISO 4217
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF "
    "CHE CHF CHW CLF CLP CNY COP COU CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD "
    "GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP "
    "LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN "
    "PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STN SVC SYP SZL THB TJS "
    "TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAF XAG XAU XBA XBB XBC XBD XCD "
    "XDR XOF XPD XPF XPT XSU XTS XUA XXX YER ZAR ZMW ZWL"
)


def formed_systems() -> tuple[str, ...]:
    """The URLs of the code systems that are known here without a CodeSystem."""
    return tuple(sorted({*_FORMS, *_TABLES}))


def known(url: str) -> System | None:
    """The code system of this URL as far as it is known without a resource; None when it is not."""
    if url in _TABLES:
        return Listed(_listed(url))
    judge = _FORMS.get(url)
    return Formed(url, judge) if judge is not None else None


def is_unit(code: str) -> bool:
    """Whether this is a unit of UCUM, special ones included."""
    if len(code) <= ucum.MAX_CODE and ucum.canonical(code) is not None:
        return True
    return bool(_SPECIAL.fullmatch(_ANNOTATION.sub("", code) or code))


def _is_language(code: str) -> bool:
    return bool(_LANGUAGE.fullmatch(code))


def _is_media(code: str) -> bool:
    return bool(_MEDIA.fullmatch(code))


def _is_subdivision(code: str) -> bool:
    return bool(_SUBDIVISION.fullmatch(code)) and code[:2] in _listed("urn:iso:std:iso:3166").concepts


_FORMS: dict[str, Callable[[str], bool]] = {
    ucum.SYSTEM: is_unit,
    "urn:ietf:bcp:47": _is_language,
    "urn:ietf:bcp:13": _is_media,
    "http://www.rfc-editor.org/bcp/bcp13.txt": _is_media,
    "urn:iso:std:iso:3166:-2": _is_subdivision,
    "urn:iso:std:iso:11073:10101": lambda code: bool(_NUMBER.fullmatch(code)),
    "urn:ietf:rfc:3986": lambda code: bool(_URI.fullmatch(code)),
}


def _zones() -> Iterable[str]:
    from zoneinfo import available_timezones

    return sorted(available_timezones())


def _countries() -> Iterable[str]:
    rows = _COUNTRIES.split()
    return [*(row[:2] for row in rows), *(row[2:5] for row in rows), *(row[5:] for row in rows)]


_TABLES: dict[str, Callable[[], Iterable[str]]] = {
    "urn:iso:std:iso:3166": _countries,
    "urn:iso:std:iso:4217": _CURRENCIES.split,
    "https://www.iana.org/time-zones": _zones,
}


@cache
def _listed(url: str) -> CodeSystem:
    concepts = tuple(ConceptDefinition(code=code) for code in _TABLES[url]())
    return CodeSystem(CodeSystemResource(url=url, status="active", content="complete", concept=concepts))


@lru_cache(4096)
def _concept(code: str) -> Concept:
    return Concept(code, "", "", {})


class Formed:
    """A code system without a list: a code is one of its codes when it has the form."""

    version = name = language = hierarchy_meaning = ""
    content = "complete"
    case_sensitive: bool | None = True
    is_partial = False
    is_a = False

    def __init__(self, url: str, judge: Callable[[str], bool]) -> None:
        self.url = url
        self._judge = judge

    def check_listed(self) -> None:
        """Its codes can be judged."""

    def value_type(self, name: str) -> str:
        return "string"

    async def many(self, codes: Iterable[str]) -> dict[str, Concept]:
        return {code: _concept(code) for code in codes if self._judge(code)}

    async def matching(self, code: str) -> list[str]:
        return [code] if self._judge(code) else []

    async def select(self, filters: Sequence[Filter], effort: Effort, want: Want) -> Selection:
        raise TooCostly(f"The codes of {self.url} are more than anybody can list.")

    async def fitting(self, codes: Iterable[str], filters: Sequence[Filter], effort: Effort) -> set[str]:
        found = set(await self.many(codes))
        for one in filters:
            found = {code for code in found if self._fits(code, one, effort)}
        return found

    def _fits(self, code: str, one: Filter, effort: Effort) -> bool:
        if one.property in ITSELF and one.op == "regex":
            return Pattern(one.value).matches(code, effort)
        if one.property in ITSELF and one.op in ("=", "in"):
            return code in (text.strip() for text in one.value.split(","))
        if self.url == ucum.SYSTEM and one.property == "canonical" and one.op == "=":
            unit, wanted = ucum.canonical(code), ucum.canonical(one.value)
            return unit is not None and wanted is not None and unit.dimension == wanted.dimension
        raise NotSupported(f"Filter '{one.op[:32]}' on '{one.property[:64]}' of {self.url} is not supported.")

    async def parents(self, code: str) -> list[str]:
        return []

    async def children(self, code: str, limit: int) -> list[str]:
        return []

    async def below(self, code: str, limit: int) -> list[str]:
        return await self.matching(code)

    async def above(self, codes: Iterable[str]) -> dict[str, frozenset[str]]:
        return {code: frozenset((code,)) for code in await self.many(codes)}
