"""The words with which the API server refuses an AgbSession, as the CRD's rules have them."""

ONE_OF_TWO = (
    "spec: Invalid value: set exactly one of imageId (create a session from this image)"
    " and sessionId (adopt a session that exists)"
)
NOT_SWITCHED = (
    "spec: Invalid value: imageId and sessionId cannot be added, removed or exchanged later;"
    " create another AgbSession instead"
)
OTHER_IMAGE = (
    'spec.imageId: Invalid value: "other": imageId is immutable: a session keeps its image;'
    " create another AgbSession for another image"
)
OTHER_SESSION = (
    'spec.sessionId: Invalid value: "session-2": sessionId is immutable;'
    " create another AgbSession to adopt another session"
)
BAD_IMAGE = "imageId must be the id of an AGB image such as agb-code-space-1, not blank, without spaces around it"
BAD_SESSION = "sessionId must be the id of an AGB session such as session-9f2c1e, not blank, without spaces around it"
BAD_TIMEOUT = "timeout must be a duration from 1s to 24h, such as 90s, 10m or 1h30m"
BAD_INTERVAL = "pollInterval must be a duration from 1s to 5m, such as 2s, 30s or 1m30s"
BAD_LABEL_KEY = "spec.labels: Invalid value: label keys must have 1 to 128 characters and must not be blank"
RESERVED_LABEL_KEY = (
    "spec.labels: Invalid value: label keys that begin with agb-operator are reserved for the operator;"
    " choose another key"
)
BAD_LABEL_VALUE = (
    "a label value must have 1 to 128 characters and must not be blank; remove the label if it has no value"
)
LABELS_NEED_IMAGE = (
    "spec.labels: Forbidden: labels need imageId: the operator labels only sessions it creates"
    " and leaves those of an adopted session alone; remove labels"
)
RECREATE_NEEDS_IMAGE = (
    "spec.onSessionLost: Invalid value: Recreate needs imageId: an adopted session cannot be created again; use Fail"
)
BAD_SECRET_NAME = (
    "name must be the name of a Secret in this namespace: lower case letters, digits, '-' and '.',"
    " with a letter or digit at both ends"
)
BAD_SECRET_KEY = "key must be a key of the Secret's data such as apiKey: letters, digits, '-', '_' and '.'"
BAD_REASON = "a reason must not be blank; leave it out if there is none"
BAD_CRON = (
    "must be five fields of cron: one minute, hours, days of month, months, days of week (0-7 or SUN-SAT),"
    " such as '0 20 * * 1-5'"
)
BOTH_DAYS = (
    "day of month and day of week together mean either of them to cron; give one of the two as *, or make two schedules"
)
BAD_ZONE = (
    "timeZone must be a name of the IANA time zone database such as Europe/Berlin, or UTC;"
    " offsets and abbreviations know no daylight saving time"
)
PAIR = (
    "spec: Invalid value: set pauseAt and resumeAt together;"
    " a pause that is never ended by the clock is spec.paused of the AgbSession"
)
NO_TIME = "spec: Invalid value: say when to pause: pauseAt with resumeAt for every week, or windows for certain dates"
SAME = "spec: Invalid value: pauseAt and resumeAt are the same moment; the sessions would never be paused"
DAYS_NEED_A_PAIR = (
    "spec: Invalid value: daysOff says on which days resumeAt does not come; it needs pauseAt and resumeAt"
)
BAD_ORDER = "from must be before to"
BAD_LOCAL = "must be a local time such as 2026-12-24T18:00, without an offset; it is read in timeZone"
BAD_DAY = "a day off is a date such as 2026-12-25"
BAD_SPREAD = "spread must be a duration from 0s to 4h, such as 90s, 10m or 1h30m"
BAD_VALUES = "In and NotIn need values; Exists and DoesNotExist take none"
BAD_KEY = "a label's key is a name such as team or example.com/team"
BAD_VALUE = "a label's value has at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends"
