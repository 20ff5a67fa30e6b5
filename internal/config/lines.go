package config

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// keyLines tells on which line of a YAML text each key stands, keys of nested maps
// joined by dots.
func keyLines(text []byte) (map[string]int, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	lines := map[string]int{}
	if len(doc.Content) == 0 {
		return lines, nil
	}
	if root := doc.Content[0]; root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: the file is not a list of keys and values", root.Line)
	}
	collectLines(doc.Content[0], "", lines, 0)
	return lines, nil
}

func collectLines(n *yaml.Node, prefix string, lines map[string]int, depth int) {
	if n.Kind != yaml.MappingNode || depth > 8 {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := prefix + n.Content[i].Value
		lines[key] = n.Content[i].Line
		collectLines(n.Content[i+1], key+".", lines, depth+1)
	}
}
