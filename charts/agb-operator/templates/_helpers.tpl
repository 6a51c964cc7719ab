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
namespace: {{ default .root.Release.Namespace .namespace | quote }}
{{- end }}
labels:
  {{- toYaml $labels | nindent 2 }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "agb-operator.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "agb-operator.endpoint" -}}
{{- if .Values.simulator.enabled -}}
{{- if .Values.agb.endpoint -}}
{{- fail "\n\nsimulator.enabled replaces AGB, and agb.endpoint names one: set only one of the two" -}}
{{- end -}}
{{- printf "http://%s-simulator.%s.svc:8090" (include "agb-operator.fullname" .) .Release.Namespace -}}
{{- else -}}
{{- .Values.agb.endpoint -}}
{{- end -}}
{{- end -}}

{{/* Stop with a clear text if an API that comes with the Prometheus Operator is not there. Takes root, kind, value. */}}
{{- define "agb-operator.needsMonitoring" -}}
{{- if not (.root.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" .kind)) -}}
{{- fail (printf "\n\n%s needs the kind %s (monitoring.coreos.com/v1), which this cluster does not have: install the Prometheus Operator first, or leave it off. With `helm template` add --api-versions monitoring.coreos.com/v1/%s" .value .kind .kind) -}}
{{- end -}}
{{- end -}}
