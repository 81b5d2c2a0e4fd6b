"""What the fields are, for ``kubectl explain``: by struct and name, or by name alone where that says it.

A field that neither is here nor has a struct with a docstring is told by its type alone.
"""

from __future__ import annotations

_BY_STRUCT = {
    "Service.spec": "What the Service should be.",
    "Service.status": "What has become of it, mostly what a load balancer has done for it.",
    "ServiceSpec.ports": "The ports that the Service offers.",
    "ServiceSpec.selector": (
        "Labels of the Pods that get its traffic. Without it, somebody else must keep its endpoints."
    ),
    "ServiceSpec.clusterIP": (
        'Its first address inside the cluster, or "None" for a headless Service. '
        "Given when it is left out; cannot be changed."
    ),
    "ServiceSpec.clusterIPs": "Its addresses, one of each family at most. The first is that of clusterIP.",
    "ServiceSpec.type": (
        "How it is reached: ClusterIP inside the cluster, NodePort also at a port of "
        "every node, LoadBalancer also from outside, ExternalName not at all but by another name."
    ),
    "ServiceSpec.externalIPs": "Further addresses at which nodes take traffic for it. Deprecated.",
    "ServiceSpec.sessionAffinity": "ClientIP sends a client to the same Pod each time, None does not care.",
    "ServiceSpec.sessionAffinityConfig": "For how long a client stays with its Pod.",
    "ServiceSpec.loadBalancerIP": (
        "The address that a load balancer should have. Deprecated: load balancers need not heed it."
    ),
    "ServiceSpec.loadBalancerSourceRanges": (
        "Ranges of client addresses that a load balancer lets in; empty means all."
    ),
    "ServiceSpec.loadBalancerClass": (
        "Which implementation of load balancers is meant. Cannot be changed once set."
    ),
    "ServiceSpec.externalName": "The name that DNS answers with for a Service of type ExternalName.",
    "ServiceSpec.externalTrafficPolicy": (
        "Cluster spreads traffic from outside over all Pods, Local "
        "keeps it on the node it came to, and keeps the client's address."
    ),
    "ServiceSpec.internalTrafficPolicy": (
        "Cluster spreads traffic from inside over all Pods, Local keeps it on the node of the client."
    ),
    "ServiceSpec.healthCheckNodePort": (
        "Where a load balancer asks a node whether it has Pods of a Service with external policy Local."
    ),
    "ServiceSpec.publishNotReadyAddresses": (
        "Treat Pods as ready whatever they say, as peers that look for each other by DNS need it."
    ),
    "ServiceSpec.ipFamilies": "The families of its addresses, the first one's first.",
    "ServiceSpec.ipFamilyPolicy": (
        "SingleStack for one family, PreferDualStack for two where there are "
        "two, RequireDualStack for two or none."
    ),
    "ServiceSpec.allocateLoadBalancerNodePorts": (
        "Whether the ports of a load balancer get node ports, which not every load balancer needs."
    ),
    "ServiceSpec.trafficDistribution": "Which endpoints are preferred: PreferSameZone or PreferSameNode.",
    "ServicePort.port": "The port that clients use.",
    "ServicePort.targetPort": (
        "The port of the Pods, by number or by the name of a container's port; the same as port if left out."
    ),
    "ServicePort.nodePort": "The port on every node, given when it is left out.",
    "ServicePort.name": "What the port is called; needed when there are several.",
    "ServicePort.appProtocol": (
        "What is spoken on the port, as a hint for implementations that understand it."
    ),
    "ClientIPConfig.timeoutSeconds": "For how many seconds after its last packet a client is remembered.",
    "EndpointSlice.addressType": "What the addresses are: IPv4, IPv6 or FQDN. Cannot be changed.",
    "EndpointSlice.endpoints": "The endpoints, of which there may be 1000.",
    "EndpointSlice.ports": "The ports that all of the endpoints listen on.",
    "Endpoint.addresses": "Addresses of the endpoint, of which consumers use the first.",
    "Endpoint.conditions": "Whether traffic should go to it.",
    "Endpoint.hints": "For whom the endpoint is meant.",
    "Endpoint.zone": "The zone the endpoint is in.",
    "EndpointConditions.ready": "Whether it can take traffic. Not told means yes.",
    "EndpointConditions.serving": "As ready, but also of endpoints that are on their way out.",
    "EndpointConditions.terminating": "Whether it is on its way out.",
    "ConfigMap.data": "Texts by their key.",
    "ConfigMap.binaryData": "Bytes by their key, in base 64.",
    "Secret.data": "Bytes by their key, in base 64.",
    "Secret.stringData": "Texts by their key, which become part of data. Never read back.",
    "Secret.type": "What the data is for, and so which keys must be there.",
    "Namespace.spec": "What keeps a namespace from going before it is empty.",
    "NodeSpec.podCIDR": "The range that the node's Pods get their addresses from.",
    "NodeSpec.podCIDRs": "As podCIDR, one range of each family at most.",
    "NodeSpec.unschedulable": "Keep new Pods away.",
    "NodeSpec.taints": "What Pods must tolerate to be here.",
    "PodSpec.containers": "The containers of the Pod, of which there is at least one.",
    "PodSpec.initContainers": "Containers that run one after the other before the others start.",
    "PodSpec.ephemeralContainers": "Containers that were added to look into a running Pod.",
    "PodSpec.volumes": "Storage that the containers may mount.",
    "PodSpec.restartPolicy": "When a container that ended is started again.",
    "PodSpec.terminationGracePeriodSeconds": "How long containers may take to stop before they are killed.",
    "PodSpec.activeDeadlineSeconds": "After how many seconds the Pod fails whatever it does.",
    "PodSpec.dnsPolicy": "Where the Pod's resolver asks.",
    "PodSpec.nodeSelector": "Labels that the Pod's node must have.",
    "PodSpec.nodeName": "The node that the Pod is on. The scheduler sets it.",
    "PodSpec.hostNetwork": "Use the node's network instead of one of its own.",
    "PodSpec.hostname": "What the Pod calls itself, if not by its name.",
    "PodSpec.subdomain": "The name of a headless Service below which the Pod's hostname is known to DNS.",
    "PodSpec.tolerations": "Taints that the Pod puts up with.",
    "PodSpec.serviceAccountName": "As whom the Pod speaks to the API.",
    "PodSpec.imagePullSecrets": "Secrets with the credentials of registries.",
    "PodSpec.affinity": "Where the Pod would rather be, by nodes and by other Pods.",
    "Container.image": "The image to run.",
    "Container.command": "What to run instead of the image's entry point.",
    "Container.args": "The arguments, instead of the image's.",
    "Container.env": "Environment variables.",
    "Container.envFrom": "ConfigMaps and Secrets whose keys all become environment variables.",
    "Container.ports": "Ports the container listens on, mostly so that they have names.",
    "Container.resources": "What the container needs and what it may use.",
    "Container.livenessProbe": "When to restart the container.",
    "Container.readinessProbe": "When to send it traffic.",
    "Container.startupProbe": "When it has started, before which the other probes wait.",
    "Container.volumeMounts": "Where volumes appear in the container.",
    "Container.imagePullPolicy": "When the image is pulled.",
    "Container.workingDir": "The directory to start in.",
    "DeploymentSpec.strategy": "How old Pods are replaced by new ones.",
    "DeploymentSpec.paused": "Do not roll out changes for now.",
    "DeploymentSpec.progressDeadlineSeconds": (
        "After how many seconds without progress a rollout counts as stuck."
    ),
    "LeaseSpec.holderIdentity": "Who holds the lease.",
    "LeaseSpec.leaseDurationSeconds": "For how long it is held after each renewal.",
    "LeaseSpec.renewTime": "When it was renewed last.",
    "LeaseSpec.acquireTime": "When its holder got it.",
    "LeaseSpec.leaseTransitions": "How often it changed hands.",
    "ServiceCIDRSpec.cidrs": "The ranges, one of each family at most. Cannot be changed.",
    "IPAddressSpec.parentRef": "The object that has the address.",
    "IngressSpec.rules": "Where requests go, by host and path.",
    "IngressSpec.defaultBackend": "Where requests go that no rule matches.",
    "IngressSpec.tls": "Certificates for hosts.",
    "NetworkPolicySpec.podSelector": "The Pods that the policy is about; empty selects all of the namespace.",
    "NetworkPolicySpec.ingress": "From where, and to which ports, they may be reached.",
    "NetworkPolicySpec.egress": "Where, and to which ports, they may go.",
    "NetworkPolicySpec.policyTypes": "Which directions the policy is about.",
    "PodDisruptionBudgetSpec.minAvailable": (
        "How many of the Pods, or what share, must stay while nodes are emptied."
    ),
    "PodDisruptionBudgetSpec.maxUnavailable": (
        "How many of the Pods, or what share, may be missing while nodes are emptied."
    ),
    "ObjectMeta.name": "The object's name, unique within its namespace. Cannot be changed.",
    "ObjectMeta.generateName": "The start of a name that the server completes, if no name is given.",
    "ObjectMeta.namespace": "The namespace that the object is in. Cannot be changed.",
    "ObjectMeta.labels": "Labels, by which objects are selected.",
    "ObjectMeta.annotations": "Notes for programs, which are not selected by.",
    "ObjectMeta.uid": "Tells this object from others that had its name before. Given by the server.",
    "ObjectMeta.resourceVersion": (
        "The version of the object, which changes with every write. Compare only for equality."
    ),
    "ObjectMeta.generation": "Counts the changes of what the object should be.",
    "ObjectMeta.creationTimestamp": "When the object was created.",
    "ObjectMeta.deletionTimestamp": "When the object is to go. It stays until its finalizers are done.",
    "ObjectMeta.deletionGracePeriodSeconds": "How many seconds it may take to stop.",
    "ObjectMeta.ownerReferences": "Objects without which this one is garbage.",
    "ObjectMeta.finalizers": "What must be done before the object may go.",
    "ObjectMeta.managedFields": "Which fields were set by whom, for server-side apply.",
    "ObjectMeta.selfLink": "No longer used.",
}

_BY_NAME = {
    "apiVersion": "The version of this form of the object, such as v1 or apps/v1.",
    "kind": "What the object is. Cannot be changed.",
    "metadata": "Who the object is: name, namespace, labels and what the server keeps about it.",
    "spec": "What the object should be.",
    "status": "What has become of it, as its controller sees it.",
    "items": "The items.",
    "name": "Its name.",
    "namespace": "The namespace it is in.",
    "key": "The key.",
    "value": "The value.",
    "values": "The values.",
    "operator": "How key and values are related.",
    "optional": "Whether it may be missing.",
    "replicas": "How many Pods are wanted; 1 if left out.",
    "selector": "Which Pods are meant, by their labels. Must match those of the template.",
    "template": "What the Pods look like.",
    "minReadySeconds": "For how long a Pod must have been ready to count as available.",
    "revisionHistoryLimit": "How many old revisions are kept to go back to.",
    "conditions": "Aspects of its state, each true, false or unknown.",
    "type": "Which kind of it this is.",
    "reason": "Why, in one word for programs.",
    "message": "What happened, for people.",
    "lastTransitionTime": "When this last changed.",
    "lastUpdateTime": "When this was last written.",
    "observedGeneration": "The generation that this is about.",
    "port": "The port.",
    "ports": "The ports.",
    "protocol": "TCP, UDP or SCTP; TCP if left out.",
    "appProtocol": "What is spoken on the port.",
    "path": "The path.",
    "host": "The host.",
    "hostname": "The host's name.",
    "nodeName": "The node it is on.",
    "targetRef": "The object behind it.",
    "readOnly": "Whether it cannot be written to.",
    "immutable": "Refuse every change of the data from now on.",
    "data": "The data.",
    "ip": "The address.",
    "labelSelector": "Which objects are meant, by their labels.",
    "matchLabels": "Labels and their values that must all be there.",
    "matchExpressions": "Conditions on labels that must all hold.",
    "availableReplicas": "How many Pods have been ready for long enough.",
    "readyReplicas": "How many Pods are ready.",
    "updatedReplicas": "How many Pods are of the newest template.",
    "collisionCount": "How often a name for a new revision was taken.",
    "subjects": "Who is meant.",
    "roleRef": "The role that is given. Cannot be changed.",
    "rules": "What is allowed.",
    "verbs": "The actions; * means all.",
    "apiGroups": "The API groups; * means all.",
    "resources": "The resources; * means all.",
    "resourceNames": "The names that are meant; empty means all.",
    "nonResourceURLs": "Paths outside the resources, which may end in *.",
    "continue": "Where the list goes on, to be sent with the next request.",
    "resourceVersion": "The version, to go on from.",
    "remainingItemCount": "How many items are left, where that is known.",
}


def description(struct: str, field: str) -> str:
    """What a field is; empty if nothing is known but its type."""
    return _BY_STRUCT.get(f"{struct}.{field}") or _BY_NAME.get(field, "")
