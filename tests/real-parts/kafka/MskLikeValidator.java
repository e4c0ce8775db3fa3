import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.security.auth.callback.Callback;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.*;

/**
 * Stands in for Amazon MSK's check of an IAM token: the form of the token, who made it, and for which region.
 * The signature is AWS's to check, and is not checked here.
 */
public class MskLikeValidator implements AuthenticateCallbackHandler {
    @Override
    public void configure(Map<String, ?> configs, String mechanism, List<AppConfigurationEntry> entries) {}

    @Override
    public void close() {}

    @Override
    public void handle(Callback[] callbacks) {
        for (Callback callback : callbacks) {
            if (callback instanceof OAuthBearerValidatorCallback asked) {
                String why = fault(asked.tokenValue());
                if (why == null) {
                    asked.token(new Known(asked.tokenValue()));
                    System.out.println("a token is taken"); // the test counts these
                } else asked.error("invalid_token: " + why, null, null);
            }
        }
    }

    private static String fault(String token) {
        String url = new String(Base64.getUrlDecoder().decode(token), StandardCharsets.UTF_8);
        String query = URI.create(url).getQuery();
        if (!"kafka.eu-central-1.amazonaws.com".equals(URI.create(url).getHost())) return "not our region's endpoint";
        if (!query.contains("Action=kafka-cluster:Connect")) return "another action";
        if (!query.contains("X-Amz-Credential=AKIATEST/")) return "a stranger";
        return query.contains("X-Amz-Signature=") ? null : "not signed";
    }

    private record Known(String value) implements OAuthBearerToken {
        @Override
        public Set<String> scope() {
            return Set.of();
        }

        @Override
        public long lifetimeMs() {
            return System.currentTimeMillis() + 900_000;
        }

        @Override
        public String principalName() {
            return "notifications";
        }

        @Override
        public Long startTimeMs() {
            return null;
        }
    }
}
