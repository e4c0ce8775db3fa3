import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.security.auth.callback.Callback;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.*;

/**
 * Stands in for Amazon MSK's check of an IAM token: the form of the token, who made it, for which region, and until when.
 * The signature is AWS's to check, and is not checked here.
 */
public class MskLikeValidator implements AuthenticateCallbackHandler {
    private static final DateTimeFormatter DATE = DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);

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
        if (!query.contains("X-Amz-Signature=")) return "not signed";
        Instant signed = DATE.parse(parameter(query, "X-Amz-Date"), Instant::from);
        Instant end = signed.plusSeconds(Long.parseLong(parameter(query, "X-Amz-Expires")));
        return Instant.now().isBefore(end) ? null : "ended at " + end;
    }

    private static String parameter(String query, String name) {
        for (String pair : query.split("&")) {
            if (pair.startsWith(name + "=")) return pair.substring(name.length() + 1);
        }
        throw new IllegalArgumentException("no " + name);
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
