{{/*
All that the operator may do, in one place: the ClusterRole, the Roles and the end-to-end tests take it from
here.

A rule that grows here grows for everybody who installs the chart, so each carries its reason.
*/}}
{{- define "agb-operator.rules" -}}
# The watch, and the operator's own finalizer. It writes neither spec nor labels nor annotations.
- apiGroups: [agb.cloud]
  resources: [agbsessions]
  verbs: [get, list, watch, patch]
- apiGroups: [agb.cloud]
  resources: [agbsessions/status]
  verbs: [patch]
# API keys, read by the name that an AgbSession gives. Secrets can neither be listed nor watched.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
# What happened, for `kubectl describe`.
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end -}}

{{/* Leader election, in the release namespace only. A create cannot be limited to a name. */}}
{{- define "agb-operator.leaseRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "agb-operator.fullname" . | quote }}]
  verbs: [get, update]
{{- end -}}

{{/*
What is needed in a namespace that is being deleted, whose RoleBinding Kubernetes removes before the AgbSessions
are gone: to see one, to report on it, and to let go of the finalizer. No Secret and no list of anything.
*/}}
{{- define "agb-operator.finalizerRules" -}}
- apiGroups: [agb.cloud]
  resources: [agbsessions]
  verbs: [get, patch]
- apiGroups: [agb.cloud]
  resources: [agbsessions/status]
  verbs: [patch]
{{- end -}}

{{/* A binding's roleRef and subjects. Takes root, kind and role. */}}
{{- define "agb-operator.binds" -}}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .role | quote }}
subjects:
  - kind: ServiceAccount
    name: {{ include "agb-operator.serviceAccountName" .root | quote }}
    namespace: {{ .root.Release.Namespace | quote }}
{{- end -}}
