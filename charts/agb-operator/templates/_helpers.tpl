{{/*
Give every value that is not there its default; each template begins with this. `--set X=null` takes a value out, and
`helm upgrade --reuse-values` brings the values of the chart before, which knew fewer.
*/}}
{{- define "agb-operator.defaults" -}}
{{- include "agb-operator.fill" (dict "values" .Values "defaults" (.Files.Get "files/defaults.yaml" | fromYaml)) -}}
{{- end -}}

{{- define "agb-operator.fill" -}}
{{- $values := .values -}}
{{- range $name, $default := .defaults -}}
{{- if kindIs "invalid" (index $values $name) -}}
{{- $_ := set $values $name $default -}}
{{- else if kindIs "map" $default -}}
{{- include "agb-operator.fill" (dict "values" (index $values $name) "defaults" $default) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
The name of the objects. It begins with the chart's name, because a release may be called `123` and the name
of a Service must begin with a letter. 50 characters leave room for the suffixes.
*/}}
{{- define "agb-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if hasPrefix $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" $name .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Where the objects are; a release of an umbrella chart may be elsewhere. */}}
{{- define "agb-operator.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "agb-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "agb-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Labels by which Pods are selected; they never change. */}}
{{- define "agb-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "agb-operator.labels" -}}
{{ include "agb-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: agb-operator
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{- end -}}

{{/*
The metadata that all objects share, as an indented block.
Takes a dict: root, name, and optionally component, namespaced (default true), namespace, labels, annotations.
*/}}
{{- define "agb-operator.metadata" -}}
{{- $annotations := merge (dict) (default (dict) .annotations) .root.Values.commonAnnotations -}}
{{- $labels := merge (dict) (default (dict) .labels) (include "agb-operator.labels" .root | fromYaml) .root.Values.commonLabels -}}
{{- with .component }}{{ $_ := set $labels "app.kubernetes.io/component" . }}{{ end -}}
name: {{ .name | quote }}
{{- if ne (toString .namespaced) "false" }}
namespace: {{ default (include "agb-operator.namespace" .root) .namespace | quote }}
{{- end }}
labels:
  {{- toYaml $labels | nindent 2 }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
The first part of a repository is a registry if it looks like a host, as container engines read it: `localhost`,
or something with a dot or a port.
*/}}
{{- define "agb-operator.image" -}}
{{- $repository := .Values.image.repository -}}
{{- with .Values.global.imageRegistry -}}
{{- $repository = printf "%s/%s" . (regexReplaceAll "^(localhost|[^/]*[.:][^/]*)/" $repository "") -}}
{{- end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "agb-operator.endpoint" -}}
{{- if .Values.simulator.enabled -}}
{{- if .Values.agb.endpoint -}}
{{- fail "\n\nsimulator.enabled replaces AGB, and agb.endpoint names one: set only one of the two" -}}
{{- end -}}
{{- printf "http://%s-simulator.%s.svc:8090" (include "agb-operator.fullname" .) (include "agb-operator.namespace" .) -}}
{{- else -}}
{{- .Values.agb.endpoint -}}
{{- end -}}
{{- end -}}

{{/*
`true` if an object of the Prometheus Operator is to be rendered, by `metrics.renderMode`; nothing if it is to be left
out. Takes root, kind, value.
*/}}
{{- define "agb-operator.rendersMonitoring" -}}
{{- $there := .root.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" .kind) -}}
{{- $mode := .root.Values.metrics.renderMode -}}
{{- if or $there (eq $mode "alwaysRender") -}}
true
{{- else if eq $mode "failIfMissing" -}}
{{- fail (printf "\n\n%s needs the kind %s (monitoring.coreos.com/v1), which this cluster does not have: install the Prometheus Operator first, or leave it off. To render without a cluster, set metrics.renderMode=alwaysRender" .value .kind) -}}
{{- end -}}
{{- end -}}

{{/* How Prometheus scrapes an endpoint. Takes the values of a ServiceMonitor or PodMonitor. */}}
{{- define "agb-operator.scrape" -}}
- port: http
  path: /metrics
  # Keeps the operator's label `namespace`, that of the AgbSessions; otherwise it would be renamed.
  honorLabels: true
  interval: {{ .interval | quote }}
  {{- with .scrapeTimeout }}
  scrapeTimeout: {{ . | quote }}
  {{- end }}
  {{- with .relabelings }}
  relabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .metricRelabelings }}
  metricRelabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
