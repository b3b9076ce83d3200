/** What the programs of Java libraries have in common (../README.md says what they do). */
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

public abstract class Scenario {
    static String mode, prefix;
    static List<String> addresses;

    abstract void usual() throws Exception;
    abstract void set(String key, String value) throws Exception;
    abstract String get(String key) throws Exception;
    abstract void close() throws Exception;

    interface Connect { Scenario connect() throws Exception; }

    static boolean cluster() { return mode.equals("cluster"); }
    static String host(String address) { return address.split(":")[0]; }
    static int port(String address) { return Integer.parseInt(address.split(":")[1]); }

    /** All keys of a program have one slot, so that a cluster client takes them in one command. */
    static String key(Object name) { return "{" + prefix + "}:" + name; }

    static void check(Object got, Object wanted) {
        if (!Objects.equals(got, wanted)) throw new AssertionError(got + " instead of " + wanted);
    }

    static void say(Object... words) {
        System.out.println(String.join(" ", Arrays.stream(words).map(word -> ("" + word).replace('\n', ' ')).toList()));
        System.out.flush();
    }

    static void main(String[] arguments, String library, Connect connect) throws Exception {
        mode = arguments[0];
        addresses = List.of(arguments[1].split(","));
        prefix = arguments[2];
        Scenario client = null;
        try {
            client = connect.connect();
            say("version", version(library));
            client.usual();
        } catch (Throwable error) {
            StackTraceElement at = Arrays.stream(error.getStackTrace()).filter(one -> one.getMethodName().equals("usual"))
                .findFirst().orElse(error.getStackTrace()[0]);
            say("failed", error, "at", at);
            Runtime.getRuntime().halt(1);
        }
        say("usual");
        for (int number = 1;; number++) {
            try {
                client.set(key(number), "" + number);
                say("wrote", number);
                if (client.get(key("stop")) != null) break;
            } catch (Exception error) {
                say("error", error);
            }
            Thread.sleep(10);
        }
        client.close();
        say("end");
        System.exit(0);
    }

    /** The library's jar is on the class path with its version in its name. */
    static String version(String library) {
        String path = System.getProperty("java.class.path");
        for (String entry : path.split(":")) {
            String file = entry.substring(entry.lastIndexOf('/') + 1);
            if (file.matches(library + "-[0-9].*\\.jar")) return file.substring(library.length() + 1, file.length() - 4);
        }
        return "?";
    }
}
