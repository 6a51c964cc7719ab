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
# Schedules are read and reported on; nothing of theirs is ever written but the status.
- apiGroups: [agb.cloud]
  resources: [agbpauseschedules]
  verbs: [get, list, watch]
- apiGroups: [agb.cloud]
  resources: [agbpauseschedules/status]
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

{{/*
Stop before anything is made if a watched namespace is missing: Kubernetes would refuse the Role in it, and leave half a
release. Without a cluster (`helm template`, a dry run of the client) nothing can be looked up, so nothing is refused;
whether there is one is seen by a namespace that was found, or by `default`.
*/}}
{{- define "agb-operator.needsNamespaces" -}}
{{- $missing := list -}}
{{- $found := false -}}
{{- range .Values.watchNamespaces -}}
{{- if lookup "v1" "Namespace" "" . -}}
{{- $found = true -}}
{{- else if ne . $.Release.Namespace -}}{{/* that one Helm makes, after this */}}
{{- $missing = append $missing . -}}
{{- end -}}
{{- end -}}
{{- if and $missing (or $found (lookup "v1" "Namespace" "" "default")) -}}
{{- fail (printf "\n\nwatchNamespaces names what is not there: %s. Create each with `kubectl create namespace NAME`, then run this command again" (join ", " $missing)) -}}
{{- end -}}
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
    namespace: {{ include "agb-operator.namespace" .root | quote }}
{{- end -}}
