{{/* The name of everything in this release. */}}
{{- define "makini.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "makini.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "makini.fullname" .) -}}
{{- else -}}
{{- required "serviceAccount.name: with create: false, say which ServiceAccount the operator runs as" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The user that the policies take for the operator. */}}
{{- define "makini.user" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "makini.serviceAccount" . }}
{{- end -}}

{{- define "makini.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/part-of: makini-operator
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "makini.selector" -}}
app.kubernetes.io/name: makini-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "makini.sandboxSelector" -}}
app.kubernetes.io/name: makini-sandbox
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* A reference from repository, tag and digest. Arguments: image, default. */}}
{{- define "makini.reference" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .default }}
{{- end -}}
{{- end -}}

{{- define "makini.image" -}}
{{- include "makini.reference" (dict "image" .Values.image "default" .Chart.AppVersion) -}}
{{- end -}}

{{- define "makini.syncImage" -}}
{{- include "makini.reference" (dict "image" .Values.sync.image "default" .Chart.AppVersion) -}}
{{- end -}}

{{- define "makini.sandboxSecret" -}}
{{- .Values.sandbox.existingSecret | default .Values.sandbox.name -}}
{{- end -}}

{{/* No privilege at all: the operator is a client of two APIs. */}}
{{- define "makini.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "makini.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
privileged: false
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Where pods run. */}}
{{- define "makini.placement" -}}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Puts labels (and annotations) into the first `metadata:` of each document of a file. Arguments: text, labels, annotations. */}}
{{- define "makini.marked" -}}
{{- $marks := printf "\nmetadata:\n  labels:\n%s" (.labels | indent 4) -}}
{{- with .annotations }}{{- $marks = printf "%s\n  annotations:\n%s" $marks (. | indent 4) -}}{{- end -}}
{{- replace "\nmetadata:" $marks .text -}}
{{- end -}}
