// Reads Dockerfiles and compose files with the parsers of Docker itself, and prints what they mean as JSON:
// BuildKit's for a Dockerfile, Docker Compose's loader, schema and interpolation for a compose file. What
// neither would take is told on stderr, with exit code 1. For .ci/container-rules.
//
//	read-container-files Dockerfile docker-compose.yml
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// An instruction as it is written, and whether its arguments are in exec form.
type instruction struct {
	Name  string   `json:"name"`
	Flags []string `json:"flags"`
	Words []string `json:"words"`
	Exec  bool     `json:"exec"`
}

func dockerfile(path string) (any, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	parsed, err := parser.Parse(file)
	if err != nil {
		return nil, err
	}
	for _, warning := range parsed.Warnings {
		return nil, fmt.Errorf("warning: %s", warning.Short)
	}
	if _, _, err := instructions.Parse(parsed.AST, nil); err != nil {
		return nil, err
	}
	var all []instruction
	for _, node := range parsed.AST.Children {
		one := instruction{Name: strings.ToUpper(node.Value), Flags: node.Flags, Exec: node.Attributes["json"]}
		for word := node.Next; word != nil; word = word.Next {
			one.Words = append(one.Words, word.Value)
		}
		all = append(all, one)
	}
	return all, nil
}

func compose(path string) (any, error) {
	options, err := cli.NewProjectOptions([]string{path},
		cli.WithOsEnv, cli.WithName("checked"), cli.WithProfiles([]string{"*"}), cli.WithResolvedPaths(true))
	if err != nil {
		return nil, err
	}
	return options.LoadProject(context.Background())
}

func read(path string) (any, error) {
	if strings.HasPrefix(filepath.Base(path), "Dockerfile") {
		return dockerfile(path)
	}
	return compose(path)
}

func main() {
	meaning := map[string]any{}
	for _, path := range os.Args[1:] {
		value, err := read(path)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
			os.Exit(1)
		}
		meaning[filepath.Base(path)] = value
	}
	if err := json.NewEncoder(os.Stdout).Encode(meaning); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
