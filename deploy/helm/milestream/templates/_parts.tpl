{{/* What templates share. Each takes the root, or a dict of `root` and `part` (worker, projector, api, setup). */}}

{{- define "milestream.name" -}}
{{- if contains "milestream" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-milestream" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end -}}
{{- end }}

{{- define "milestream.selector" -}}
app.kubernetes.io/name: milestream
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "milestream.labels" -}}
{{ include "milestream.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "milestream.image" -}}
{{- $own := (index .root.Values .part).image | default dict -}}
{{ .root.Values.image.repository }}:{{ $own.tag | default .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{/* Of a pod: no account, no root, nothing that it could gain. */}}
{{- define "milestream.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "milestream.selector" . | nindent 8 }}
{{- end }}

{{- define "milestream.container" -}}
image: {{ include "milestream.image" . }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources: {{ toJson (index .root.Values .part).resources }}
{{- end }}

{{- define "milestream.mounts" -}}
- {name: data, mountPath: /var/lib/milestream}
- {name: tmp, mountPath: /tmp}
{{- with .root.Values.kafka.caSecret }}
- {name: kafka-ca, mountPath: /etc/milestream/kafka-ca, readOnly: true}
{{- end }}
{{- with .root.Values.kafka.clientCertificateSecret }}
- {name: kafka-client, mountPath: /etc/milestream/kafka-client, readOnly: true}
{{- end }}
{{- end }}

{{- define "milestream.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 1Gi}
{{- with .root.Values.kafka.caSecret }}
- name: kafka-ca
  secret: {secretName: {{ . }}, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- with .root.Values.kafka.clientCertificateSecret }}
- name: kafka-client
  secret: {secretName: {{ . }}, defaultMode: 288}
{{- end }}
{{- end }}

{{/* Settings of every part; no secret but by reference. */}}
{{- define "milestream.settings" -}}
{{- $values := .root.Values -}}
- {name: MILESTREAM_LOG_LEVEL, value: {{ $values.logs.level }}}
- {name: MILESTREAM_LOG_FORMAT, value: {{ $values.logs.format }}}
{{- range $name, $value := $values.settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

{{- define "milestream.kafka" -}}
{{- $kafka := .root.Values.kafka -}}
- {name: MILESTREAM_KAFKA, value: {{ required "kafka.bootstrapServers must be given" $kafka.bootstrapServers | quote }}}
- {name: MILESTREAM_PARTITIONS, value: {{ $kafka.partitions | quote }}}
- {name: MILESTREAM_REPLICATION_FACTOR, value: {{ $kafka.replicationFactor | quote }}}
- {name: MILESTREAM_SECURITY_PROTOCOL, value: {{ $kafka.securityProtocol }}}
{{- with $kafka.topicPrefix }}
- {name: MILESTREAM_TOPIC_PREFIX, value: {{ . | quote }}}
{{- end }}
{{- if hasPrefix "SASL" $kafka.securityProtocol }}
{{- $login := required "kafka.loginSecret must be given with a SASL protocol" $kafka.loginSecret }}
- {name: MILESTREAM_SASL_MECHANISM, value: {{ $kafka.saslMechanism }}}
- name: MILESTREAM_SASL_USERNAME
  valueFrom: {secretKeyRef: {name: {{ $login }}, key: username}}
- name: MILESTREAM_SASL_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ $login }}, key: password}}
{{- end }}
{{- if $kafka.caSecret }}
- {name: MILESTREAM_SSL_CAFILE, value: /etc/milestream/kafka-ca/ca.crt}
{{- end }}
{{- if $kafka.clientCertificateSecret }}
- {name: MILESTREAM_SSL_CERTFILE, value: /etc/milestream/kafka-client/tls.crt}
- {name: MILESTREAM_SSL_KEYFILE, value: /etc/milestream/kafka-client/tls.key}
{{- end }}
{{- end }}

{{- define "milestream.traces" -}}
{{- $traces := .root.Values.traces -}}
{{- if $traces.enabled }}
- {name: MILESTREAM_TRACES, value: otlp}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ required "traces.endpoint must be given" $traces.endpoint | quote }}}
- {name: OTEL_TRACES_SAMPLER, value: parentbased_traceidratio}
- {name: OTEL_TRACES_SAMPLER_ARG, value: {{ $traces.sampledShare | quote }}}
{{- end }}
{{- end }}

{{/* The ports, separated by commas, that brokers are asked at. */}}
{{- define "milestream.kafkaPorts" -}}
{{- $ports := list -}}
{{- range splitList "," .Values.kafka.bootstrapServers }}{{ $ports = append $ports (splitList ":" . | last) }}{{ end -}}
{{- join "," $ports -}}
{{- end }}

{{/* The port of the collector's address: the scheme's where it names none. */}}
{{- define "milestream.tracesPorts" -}}
{{- $address := urlParse .Values.traces.endpoint -}}
{{- regexFind ":[0-9]+$" $address.host | trimPrefix ":" | default (eq $address.scheme "https" | ternary "443" "80") -}}
{{- end }}

{{/* A login to the database: takes a dict with `key` as well. */}}
{{- define "milestream.database" -}}
- name: MILESTREAM_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ .root.Values.database.secret }}, key: {{ .key }}}}
{{- end }}

{{- define "milestream.masterKey" -}}
- name: MILESTREAM_MASTER_KEY
  valueFrom: {secretKeyRef: {name: {{ .root.Values.masterKey.secret }}, key: {{ .root.Values.masterKey.key }}}}
{{- end }}

{{/* Metrics and health of a worker or projector. */}}
{{- define "milestream.told" -}}
- {name: MILESTREAM_METRICS_PORT, value: "9100"}
- {name: MILESTREAM_METRICS_HOST, value: 0.0.0.0}
{{- end }}

{{/* Takes a dict of `port`, and of `ready`: the path that says whether a pod is to be called. */}}
{{- define "milestream.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: {{ .port }}}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: {{ .port }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: {path: {{ .ready }}, port: {{ .port }}}
  periodSeconds: 5
  timeoutSeconds: 7
  failureThreshold: 3
{{- end }}

{{- define "milestream.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "milestream.name" .root }}-{{ .part }}
  labels: {{- include "milestream.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "milestream.selector" . | nindent 6 }}
{{- end }}
