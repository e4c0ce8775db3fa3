import java.util.ArrayList;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.acl.*;
import org.apache.kafka.common.resource.*;

/** Allows one principal what the service needs of Kafka, and nothing else: servers, principal, topic, group. */
class Acls {
    public static void main(String[] arguments) throws Exception {
        var topic = new ResourcePattern(ResourceType.TOPIC, arguments[2], PatternType.LITERAL);
        var group = new ResourcePattern(ResourceType.GROUP, arguments[3], PatternType.LITERAL);
        var allowed = new ArrayList<AclBinding>();
        for (var operation : new AclOperation[] {AclOperation.WRITE, AclOperation.READ}) {
            allowed.add(binding(topic, arguments[1], operation)); // either implies DESCRIBE
        }
        allowed.add(binding(group, arguments[1], AclOperation.READ));
        try (var admin = Admin.create(Map.of("bootstrap.servers", (Object) arguments[0]))) {
            admin.createAcls(allowed).all().get();
        }
    }

    static AclBinding binding(ResourcePattern of, String principal, AclOperation operation) {
        return new AclBinding(of, new AccessControlEntry(principal, "*", operation, AclPermissionType.ALLOW));
    }
}
