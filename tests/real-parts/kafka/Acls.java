import java.util.ArrayList;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.acl.*;
import org.apache.kafka.common.resource.*;

/** Allows one principal something of a topic and a group: servers, principal, topic, group, what of the topic, what of the group. */
class Acls {
    public static void main(String[] arguments) throws Exception {
        var topic = new ResourcePattern(ResourceType.TOPIC, arguments[2], PatternType.LITERAL);
        var group = new ResourcePattern(ResourceType.GROUP, arguments[3], PatternType.LITERAL);
        var allowed = new ArrayList<AclBinding>();
        for (var operation : arguments[4].split(",")) {
            allowed.add(binding(topic, arguments[1], AclOperation.fromString(operation))); // each implies DESCRIBE
        }
        for (var operation : arguments[5].split(",")) {
            allowed.add(binding(group, arguments[1], AclOperation.fromString(operation)));
        }
        try (var admin = Admin.create(Map.of("bootstrap.servers", (Object) arguments[0]))) {
            admin.createAcls(allowed).all().get();
        }
    }

    static AclBinding binding(ResourcePattern of, String principal, AclOperation operation) {
        return new AclBinding(of, new AccessControlEntry(principal, "*", operation, AclPermissionType.ALLOW));
    }
}
