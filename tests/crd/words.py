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
